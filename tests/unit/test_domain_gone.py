"""Ids that were there and are not, however many."""

from domain.gone import Gone


def test_what_is_gone_is_a_set_that_grows_without_being_copied_whole() -> None:
    """The ids that were given and not taken out again, in so few levels that one more is cheap."""
    gone, known = Gone(), set[str]()
    for number in range(3_000):
        name = f"binding-{number * 7 % 2_000}"
        gone, known = gone.having(name).having(""), known | {name}
        if number % 5 == 0:
            out = f"binding-{number // 2}"
            gone, known = gone.without(out), known - {out}
    every = {f"binding-{number}" for number in range(2_100)} | {""}
    assert {name for name in every if name in gone} == known
    whole = Gone()
    for number in range(4_096):
        whole = whole.having(f"{number}")
        assert sum(map(len, whole.levels)) == number + 1
        assert len(whole.levels) <= 13
