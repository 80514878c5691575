"""Hash of the Triton kernels' sources, which identifies the code of a measurement or a table of machine code.

It reads only text, so that a machine without triton can check whether a measurement is current.
"""

import ast
import hashlib
import re
from pathlib import Path

KERNELS = Path(__file__).parents[1]
TRITON = re.compile(r"^(?:import|from) triton\b", re.MULTILINE)
CONFIGURATION = re.compile(r"^(?:interpreter|sm_\d+|gfx\d+) +\w+ .*\d$", re.MULTILINE)


def source_hash(kernels: Path = KERNELS) -> str:
    """Hash (16 hexadecimal digits) of everything that determines the kernels' machine code.

    That is the code of every file in an op's folder that imports triton, of launch.py, and the lines of configurations.
    Comments, docstrings, imports and the files' places and names do not count.
    """
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(kernels.rglob("*.py"))}
    ops = kernels / "ops"
    parts = [code(text) for path, text in texts.items() if ops in path.parents and TRITON.search(text)]
    parts.append(code(texts[kernels / "triton_tools" / "launch.py"]))
    parts += [" ".join(line.split()) for text in texts.values() for line in CONFIGURATION.findall(text)]
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


def code(text: str) -> str:
    """A module's statements without comments, docstrings and imports, one layout for all."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        for field in ("body", "orelse"):
            if isinstance(statements := getattr(node, field, None), list):
                kept = [s for s in statements if not _is_prose(s)]
                setattr(node, field, kept if kept or field == "orelse" else [ast.Pass()])
    return ast.unparse(ast.fix_missing_locations(tree))


def _is_prose(statement: ast.stmt) -> bool:
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_text or isinstance(statement, ast.Import | ast.ImportFrom)
