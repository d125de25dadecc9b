"""Collect the messages of the source, bring every catalogue up to date and compile it.

    make messages

Babel's own command takes '95 % interval' for a format of the % kind and refuses it; ours use braces alone.
Messages that are missing from a catalogue are printed, with an exit code of 1.
"""

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

SOURCE = Path(__file__).parents[1] / "src" / "vistazo"


def collect() -> Catalog:
    found = Catalog()
    for _, _, message, *_ in extract_from_dir(
        SOURCE, method_map=[("**.py", "python")], keywords={"tr": None, "mark": None, "ngettext": (1, 2)}
    ):
        if message:
            found.add(message)
    return found


def renew(path: Path, messages: Catalog) -> list[str]:
    """Update and compile one catalogue; the messages that it lacks."""
    with path.open("rb") as file:
        catalogue = read_po(file, locale=path.parts[-3])
    messages.creation_date = catalogue.creation_date  # a second run changes nothing
    catalogue.update(messages, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    for message in catalogue:
        message.flags -= {"python-format", "python-brace-format"}
    with path.open("wb") as file:
        write_po(file, catalogue, no_location=True, sort_output=True, ignore_obsolete=True, width=None)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalogue)
    return [str(message.id) for message in catalogue if message.id and not message.string]


if __name__ == "__main__":
    collected = collect()
    missing = 0
    for written in sorted(SOURCE.glob("locale/*/LC_MESSAGES/vistazo.po")):
        for lacking in renew(written, collected):
            print(f"{written.parts[-3]}: {lacking}")
            missing += 1
    print(f"{len(collected)} messages, {missing} without a translation")
    sys.exit(bool(missing))
