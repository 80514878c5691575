"""K-SVD beside scikit-learn as a table, from what `dictionary_learning.py` wrote."""

from typing import Any

from gpt_from_scratch.benchmarks.common.measured import table_of


@table_of("dictionary_learning.json")
def recovery(report: dict[str, Any]) -> list[str]:
    """Atoms found and seconds, at each noise level: all of ours, of scikit-learn's the best, and the best as quick as ours."""
    machine = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
    lines = [
        f"Atoms recovered of 50, mean over {report['n_seeds']} draws (least to most), and median seconds. {machine}.",
        "",
        "| noise | learner | atoms | seconds |",
        "|---|---|---:|---:|",
    ]
    for noise in dict.fromkeys(row["snr_db"] for row in report["rows"]):
        rows = [row for row in report["rows"] if row["snr_db"] == noise]
        ours = [row for row in rows if row["learner"].startswith("K-SVD")]
        theirs = [row for row in rows if row not in ours]
        slowest = max(row["median_s"] for row in ours)
        as_quick = [row for row in theirs if row["median_s"] <= slowest]
        best = [max(group, key=lambda row: row["mean_recovered"]) for group in (theirs, as_quick) if group]
        for row in [*ours, *best]:
            found = f"{row['mean_recovered']:.1f} ({min(row['recovered'])} to {max(row['recovered'])})"
            lines.append(f"| {noise:g} dB | {row['learner']} | {found} | {row['median_s']:.2f} |")
    return lines
