"""What people wrote is shown only as the log binds it, wherever it is read."""

import ast
from pathlib import Path

HERE = Path(__file__).parents[2]


def test_words_are_held_against_their_digest() -> None:
    """Every statement of what is served that reads the words behind a digest looks whether they are
    its own: a superuser who changed them is not believed.
    """
    found = 0
    for path in [*HERE.glob("projections/**/*.py"), *HERE.glob("api/**/*.py")]:
        if "log.private_value" not in (read := path.read_text()):
            continue
        for one in ast.walk(ast.parse(read)):
            if isinstance(one, ast.Constant) and "log.private_value" in str(one.value):
                if "SELECT" not in str(one.value) and "JOIN" not in str(one.value):
                    continue
                text = str(one.value)
                found += 1
                assert text.count("log.private_value") == text.count("sha256("), (path, text)
    assert found > 3
