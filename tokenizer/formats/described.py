"""Names and descriptions of the tokenizer formats, parsed from their files without imports, for --help."""

from gpt_from_scratch.support.registry_folder import literals_read_in, names_in
from gpt_from_scratch.tokenizer.formats import known


def about_formats() -> dict[str, str]:
    """Each format's files in words, by the format's name."""
    found = (literals_read_in(known, name, "Format") for name in names_in(known))
    return {str(one["name"]): str(one["about"]) for one in found}
