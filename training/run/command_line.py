"""The command line of training/train_gpt2.py: a preset, then any setting of `TrainConfig` by its name."""

import dataclasses
import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from gpt_from_scratch.models.config import GPT2_SIZES, GPTConfig
from gpt_from_scratch.support.command_line.arguments import EMPTY_PATH, settings
from gpt_from_scratch.tokenizer.files import read_json
from gpt_from_scratch.training.config import WEIGHTS, TrainConfig, from_json
from gpt_from_scratch.training.data.registry import LIVE, MIXTURE, NAMED, OF_PATHS, settings_of
from gpt_from_scratch.training.run.presets import DEFAULT, PRESETS

PROFILED = ("10", "12")
OWN_MODULES = "--backend-module"
PROG = "gpt train"
EXAMPLES = """\
    gpt train                                      # `tiny`: stories with a known floor, two minutes on a laptop
    gpt train shakespeare-char                     # Tiny Shakespeare by characters
    gpt train --data my_texts/ --steps 500         # your own text: a file, a folder, or prepared shards
    gpt train --open                               # and watch it in the browser
    gpt train --resume runs/NAME                   # continue a run from its newest checkpoint
    gpt train gpt2-124m --dry-run                  # parameters, memory, disk, FLOPs and time of a large run
    gpt train gpt2-124m --nproc 8 --max-restarts 3 # eight GPUs; all ranks restart if one fails"""
SHORT = """\
Short forms, and options of `gpt train` itself:
  --data NAME_OR_PATH     --data.source or --data.path: a file, a folder, a data set's name
  --out PLACE/NAME        --run.folder and --run.name: the folder of this run
  --profile [FIRST,LAST]  --run.profile-steps, by default 10,12
  --nproc N               start N processes on this machine, one per GPU
  --max-restarts N        with --nproc: restart all processes up to N times if one fails"""
AUTO = Path("auto")
"""Value of --resume: continue the run --run.name if it exists, otherwise start it."""


@dataclass(frozen=True)
class Command:
    """Train a GPT. The run's folder holds its config, metrics, checkpoints, samples and report.html."""

    train: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    """The settings of the run."""
    resume: Path | None = None
    """Continue the run in this folder exactly from its newest checkpoint. "auto": start the run --run.name, or continue it
    if it exists, for jobs that a scheduler restarts.
    """
    config: Path | None = None
    """Use the settings of an earlier run's config.json as defaults."""
    dry_run: bool = False
    """Print parameters, memory, disk, FLOPs and the expected time, and exit."""
    open: bool = False
    """Show the report in a browser, where it follows the run."""


def parse(argv: Sequence[str]) -> Command:
    """Parse the arguments into a command. Prints help or a usage error and exits, as argparse does.

    Raises:
        ValueError: an invalid setting. FileNotFoundError: the path of --config or --resume does not exist.
    """
    arguments = [word for argument in argv for word in _shorthand(argument)]
    name = DEFAULT
    if (given := _value_of("--preset", arguments)) is not None:
        raise ValueError(f"the preset must be the first argument: {PROG} {given or 'NAME'}")
    if arguments and not arguments[0].startswith("-"):
        name = arguments.pop(0)
        if name not in PRESETS:
            near = difflib.get_close_matches(name, PRESETS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"no preset {name!r}; there are {', '.join(PRESETS)}.{hint}")
    start = PRESETS[name][1]
    arguments = _gather(OWN_MODULES, _expand_profile(_expand_out(_expand_data(arguments))))
    folder = _value_of("--resume", arguments)
    if folder not in (None, "", str(AUTO)):
        start = read_config(Path(folder) / "config.json")
    elif file := _value_of("--config", arguments):
        start = read_config(Path(file))
    elif weights := _value_of("--init-from", arguments):
        model = dataclasses.replace(_architecture(weights), dropout=start.model.dropout)
        start = dataclasses.replace(start, model=model, keep_vocab_size=True)
    command = _parsed(arguments, start)
    if command.resume == AUTO:
        run = command.train.run
        if run.name is None:
            raise ValueError("--resume auto needs the run's name: --run.name NAME")
        if (saved := run.folder / run.name / "config.json").exists():
            return _parsed(arguments, read_config(saved))
    if command.resume in (None, AUTO) and command.train.init_from is not None:
        return _with_the_weights_tokenizer(command, arguments)
    return command


def _architecture(weights: str) -> GPTConfig:
    """Settings of the model of --init-from, which are the run's defaults."""
    # Imported here, since they import torch, which --help and usage errors do not need.
    from gpt_from_scratch.models.checkpoints.finding import find_model
    from gpt_from_scratch.models.interchange import pretrained
    from gpt_from_scratch.models.interchange.hub import from_hub
    from gpt_from_scratch.models.weight_files import CONFIG_FILE

    if not Path(weights).exists():
        known = GPT2_SIZES.get(weights.removeprefix("openai-community/"))
        return known or pretrained.read_config(from_hub(weights) / CONFIG_FILE)
    return pretrained.read_config(find_model(Path(weights), lambda warning: None) / CONFIG_FILE)


def _with_the_weights_tokenizer(command: Command, arguments: list[str]) -> Command:
    """Set the tokenizer to that of --init-from's weights, unless another is given."""
    if _value_of("--data.tokenizer", arguments) is not None:
        return command
    train = command.train
    data = train.data.replaced(tokenizer=WEIGHTS)
    return dataclasses.replace(command, train=dataclasses.replace(train, data=data))


def _parsed(arguments: list[str], start: TrainConfig) -> Command:
    command: Command = settings(
        Command,
        arguments,
        prog=f"{PROG} [PRESET]",
        description=f"{Command.__doc__}\n\n{_presets()}\n\n{SHORT}\n\n{EXAMPLES}",
        default=Command(start),
    )
    if any(_value_of(f"--model.vocab{mark}size", arguments) is not None for mark in "-_"):
        command = dataclasses.replace(command, train=dataclasses.replace(command.train, keep_vocab_size=True))
    return command


def read_config(path: Path) -> TrainConfig:
    """Read the config of a run from its file.

    Raises:
        FileNotFoundError: there is none. ValueError: it is damaged, or a setting is invalid.
    """
    if path.is_dir() and (path / "config.json").is_file():
        raise IsADirectoryError(f"{path} is a folder: name the file in it, {path / 'config.json'}")
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise FileNotFoundError(f"{path} {what}: expected the config.json of a run's folder")
    document = read_json(path)
    try:
        return from_json(document)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _presets() -> str:
    width = max(map(len, PRESETS))
    lines = [f"  {name:<{width}}  {about}" for name, (about, _) in PRESETS.items()]
    return f"Presets (default: {DEFAULT}). The defaults below are those of the chosen preset:\n" + "\n".join(lines)


def _shorthand(argument: str) -> list[str]:
    """Split --data=X into two arguments; leave everything else unchanged."""
    return list(argument.partition("=")[::2]) if argument.startswith("--data=") else [argument]


def _gather(option: str, arguments: list[str]) -> list[str]:
    """Join `--x a --x b` to `--x a b`, since tyro would use only the last of a repeated option."""
    others: list[str] = []
    values: list[str] = []
    into = others
    for word in arguments:
        if word == option:
            into = values
        elif word.startswith(f"{option}="):
            values.append(word.partition("=")[2])
        else:
            into = others if word.startswith("-") else into
            into.append(word)
    return others if not values and option not in arguments else [*others, option, *values]


def _expand_data(arguments: list[str]) -> list[str]:
    """Expand `--data WHAT` to --data.source and --data.path, or to the weights of a mixture: see `settings_of`."""
    if "--data" not in arguments:
        return arguments
    place = arguments.index("--data")
    end = next((n for n in range(place + 1, len(arguments)) if arguments[n].startswith("-")), len(arguments))
    words = arguments[place + 1 : end]
    if not words:
        names = [name for name in dict.fromkeys((*LIVE, *NAMED)) if name not in (OF_PATHS, "shards", MIXTURE)]
        raise ValueError(f"--data needs a value: a file, a folder, or one of {', '.join(names)}")
    if not all(words):
        raise ValueError(f"--data: {EMPTY_PATH}")
    meant = [word for name, values in settings_of(words).items() for word in (f"--data.{name}", *values)]
    return [*arguments[:place], *meant, *_expand_data(arguments[end:])]


def _expand_out(arguments: list[str]) -> list[str]:
    """Expand `--out PLACE/NAME` to --run.folder PLACE --run.name NAME."""
    if (given := _value_of("--out", arguments)) is None:
        return arguments
    if not given or not (place := Path(given)).name:
        raise ValueError(f"--out is {given!r}: name the run's own folder, such as runs/first")
    words = iter(arguments)
    rest = [word for word in words if not word.startswith("--out=") and not (word == "--out" and next(words))]
    return [*rest, "--run.folder", str(place.parent), "--run.name", place.name]


def _expand_profile(arguments: list[str]) -> list[str]:
    """Expand `--profile` with an optional FIRST,LAST to --run.profile-steps."""
    if "--profile" not in arguments:
        return arguments
    place = arguments.index("--profile")
    given = re.fullmatch(r"(\d+),(\d+)", arguments[place + 1] if place + 1 < len(arguments) else "")
    rest = arguments[place + (2 if given else 1) :]
    return [*arguments[:place], "--run.profile-steps", *(given.groups() if given else PROFILED), *rest]


def _value_of(option: str, arguments: list[str]) -> str | None:
    for index, word in enumerate(arguments):
        if word == option:
            return arguments[index + 1] if index + 1 < len(arguments) else None
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None
