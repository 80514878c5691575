"""Tables of the CPU benchmarks, from the results files of the same names."""

from typing import Any

from gpt_from_scratch.benchmarks.common.measured import table_of


@table_of("cpu_steps.json")
def cpu_steps(report: dict[str, Any]) -> list[str]:
    """Training steps on a CPU, ours beside the others'."""
    lines = [
        f"Medians (20th to 80th percentile) of interleaved rounds, {measured_on(report)}. Products: the part of the machine's "
        "own rate of matrix products; memory: the most resident during the steps; compiling: what it adds to the first step.",
        "",
        "| step | contender | seconds | ÷ ours | tokens/s | products | memory, GB | compiling, s |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for model, batches in report["models"].items():
        for batch, found in batches.items():
            step = f"{model}, {batch} × {found['block_size']}"
            rows = sorted(found["contenders"].items(), key=lambda item: item[1]["seconds"]["median"])
            for name, row in rows:
                beside, memory = row.get("beside ours"), row["peak memory, bytes"]
                cells = [
                    spread(row["seconds"], ".3f"),
                    "" if beside is None else f"{beside['median']:.2f}",
                    f"{row['tokens/s']['median']:,.0f}",
                    f"{row['part of products']['median']:.0%}",
                    "" if memory is None else f"{memory / 1e9:.2f}",
                    f"{row['compilation, s']:.0f}" if "compilation, s" in row else "",
                ]
                lines.append(f"| {step} | {name} | {' | '.join(cells)} |")
            lines += [f"| {step} | {name} | {reason} | | | | | |" for name, reason in found["left out"].items()]
    lines += ["", "Where ours spends its time, by torch's profiler:", ""]
    for model, batches in report["models"].items():
        for batch, found in batches.items():
            if profile := found.get("profile of ours, s"):
                lines.append(f"- {model}, {batch} × {found['block_size']}: {shares(profile)}")
    return lines


@table_of("generation_speed.json")
def generation_speed(report: dict[str, Any]) -> list[str]:
    """Tokens a second in generation, ours beside transformers'."""
    lines = [
        f"GPT-2 124M, {report['new']} new tokens after {report['prompt']}, always the most likely one, fp32: medians of "
        f"interleaved rounds, {measured_on(report)}. Reading: the rate at which the weights are read, once a step, as a part "
        "of the machine's own.",
        "",
        "| prompts at once | contender | tokens/s | times transformers' | reading | tokens alike |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    for batch, found in report["batches"].items():
        for name, row in found["contenders"].items():
            rate, ratio = spread(row["tokens/s"], ",.1f"), row["times transformers'"]["median"]
            part = f"{row['part of reading']['median']:.0%}"
            lines.append(f"| {batch} | {name} | {rate} | {ratio:.2f} | {part} | {row['tokens that agree']} |")
    return lines


@table_of("start_up.json")
def start_up(report: dict[str, Any]) -> list[str]:
    """From a command to its first step."""
    settings = "".join(f" {word}" for word in report["settings"])
    lines = [
        f"Seconds from the command until `training/train_gpt2.py tiny{settings}` has taken its first step, and until a script "
        "that imports torch and builds an optimizer is ready: medians of interleaved rounds, "
        + measured_on(report)
        + ".",
        "",
        "| started with | ours | the empty script | more | where the time went |",
        "|---|---:|---:|---:|---|",
    ]
    for name, more in report["more than empty"].items():
        moments = [f"{moment} at {taken['median']:.1f}" for moment, taken in report["moments"][name].items()]
        ours, empty = (spread(report["seconds"][key], ".2f") for key in (name, f"{name}, empty"))
        lines.append(f"| {name} | {ours} | {empty} | {spread(more, '.2f')} | {', '.join(moments)} |")
    return lines


@table_of("scaling.json")
def scaling(report: dict[str, Any]) -> list[str]:
    """Cost against work, and the picture of it."""
    lines = [
        "![Tokens a second against length, parameters and processes, beside the ideal line](../images/cpu_scaling.png)",
        "",
        f"Medians of {report['rounds']} interleaved rounds, {measured_on(report)}. The ideal is the machine's rate of matrix "
        "products, by as many processes and threads, over the FLOPs a token.",
        "",
        "| parameters | rows × tokens | processes × threads | seconds a step | tokens/s | GFLOP/s | of the ideal | its time |",
        "|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in [*report["length"], *report["parameters"], *report["processes"]]:
        shared = f"{row['processes']} × {row['threads']}" if "processes" in row else f"1 × {report['threads']}"
        cells = [
            f"{row['parameters'] / 1e6:.1f} M",
            f"{row['rows']} × {row['length']}",
            shared,
            spread(row["seconds"], ".3f"),
            f"{row['tokens/s']['median']:,.0f}",
            f"{row['FLOP/s']['median'] / 1e9:.0f}",
            f"{row['part of products']['median']:.0%}",
            shares(row["profile, s"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


@table_of("time_to_loss.json")
def time_to_loss(report: dict[str, Any]) -> list[str]:
    """Seconds to a validation loss on Tiny Shakespeare."""
    lines = [
        f"Seconds to a validation loss below {report['goal']}, and of plain PyTorch to its end, with the losses there: "
        f"medians of interleaved rounds, {report['machine']}, torch {report['torch']}.",
        "",
        "| cores | rounds | ours | loss | plain PyTorch | loss | times less |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for cores, found in report["cores"].items():
        cells = [
            f"{found['seconds'][name]['median']:.1f} | {max(found['loss'][name]):.4f}" for name in ("ours", "plain")
        ]
        rounds, ratio = len(found["loss"]["ours"]), found["ratio"]["median"]
        lines.append(f"| {cores} | {rounds} | {' | '.join(cells)} | {ratio:.1f} |")
    return lines


@table_of("best_loss.json")
def best_loss(report: dict[str, Any]) -> list[str]:
    """The lowest validation loss within the minutes, by seed."""
    lines = [
        f"`{report['preset']}`, from the start of the process, {report['minutes']:g} minutes; {report['processor']}, "
        f"{report['machine']}, torch {report['torch']}.",
        "",
        "| seed | best validation loss | step | after, s | the last one within the time |",
        "|---:|---:|---:|---:|---:|",
    ]
    for seed, found in report["seeds"].items():
        within = [at for at in found if at["seconds"] <= 60 * report["minutes"]]
        if within:
            best = min(within, key=lambda at: at["loss"])
            cells = f"{best['loss']:.4f} | {best['step']} | {best['seconds']:.0f} | {within[-1]['loss']:.4f}"
            lines.append(f"| {seed} | {cells} |")
    return lines


def shares(profile: dict[str, float]) -> str:
    """Each kind of operation with its part of the whole, the largest first; what is below half a percent is left out."""
    whole = sum(profile.values())
    parts = sorted(((seconds / whole, kind) for kind, seconds in profile.items()), reverse=True)
    return ", ".join(f"{kind} {part:.0%}" for part, kind in parts if part >= 0.005)


def measured_on(report: dict[str, Any]) -> str:
    """Machine and versions, in words."""
    versions = [f"{name} {version}" for name, version in {"torch": report["torch"], **report["versions"]}.items()]
    return ", ".join([report["processor"], report["machine"], *versions])


def spread(values: dict[str, float], form: str) -> str:
    """Median (p20–p80)."""
    return f"{values['median']:{form}} ({values['p20']:{form}}–{values['p80']:{form}})"
