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
    gpt train --data my_texts/ --steps 500         # your own text: a file, a folder, or what `gpt prepare` made
    gpt train --open                               # and watch it in the browser
    gpt train --resume runs/NAME                   # go on, exactly where it stood
    gpt train gpt2-124m --dry-run                  # parameters, memory, disk, FLOPs and time of a large run
    gpt train gpt2-124m --nproc 8 --max-restarts 3 # eight GPUs; a rank that is lost is started again"""
SHORT = """\
Short forms, and what `gpt train` itself takes:
  --data NAME_OR_PATH     --data.source or --data.path: a file, a folder, a data set's name
  --out PLACE/NAME        --run.folder and --run.name: the folder of this run
  --profile [FIRST,LAST]  --run.profile-steps, 10,12 unless told
  --nproc N               start N processes on this machine, one a GPU
  --max-restarts N        with --nproc: start all again so often where one is lost"""
AUTO = Path("auto")
"""As --resume: go on with the run that --run.name names, if it has begun."""


@dataclass(frozen=True)
class Command:
    """A GPT learns; the run's folder holds its config, metrics, checkpoints, samples and report.html."""

    train: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)
    """The run."""
    resume: Path | None = None
    """Go on with the run in this folder, exactly where its newest checkpoint stands. "auto": begin the run --run.name, or go
    on if it has begun: one command for a job that a scheduler starts again and again."""
    config: Path | None = None
    """Take the settings of an earlier run from its config.json, then those given here."""
    dry_run: bool = False
    """Print parameters, memory, disk, FLOPs and the expected time, and stop."""
    open: bool = False
    """Show the report in a browser, where it follows the run."""


def parse(argv: Sequence[str]) -> Command:
    """The command that the arguments describe. Prints help or a usage error and exits where argparse would.

    Raises:
        ValueError: a setting that cannot be; FileNotFoundError: --config or --resume names nothing.
    """
    arguments = [word for argument in argv for word in _shorthand(argument)]
    name = DEFAULT
    if (given := _value_of("--preset", arguments)) is not None:
        raise ValueError(f"a preset is named first, without an option: {PROG} {given or 'NAME'}")
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
    """The settings of the model that --init-from names, which a run takes unless told otherwise."""
    # Here, since these bring in torch, for which --help and mistakes do not wait.
    from gpt_from_scratch.models.checkpoints.finding import find_model
    from gpt_from_scratch.models.interchange import pretrained
    from gpt_from_scratch.models.interchange.hub import from_hub
    from gpt_from_scratch.models.weight_files import CONFIG_FILE

    if not Path(weights).exists():
        known = GPT2_SIZES.get(weights.removeprefix("openai-community/"))
        return known or pretrained.read_config(from_hub(weights) / CONFIG_FILE)
    return pretrained.read_config(find_model(Path(weights), lambda warning: None) / CONFIG_FILE)


def _with_the_weights_tokenizer(command: Command, arguments: list[str]) -> Command:
    """--init-from takes the tokenizer that came with the weights, unless another is asked for by name."""
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
    """The config of a run, from the file that it wrote.

    Raises:
        FileNotFoundError: there is none; ValueError: it is damaged, or its settings cannot be.
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
    return f"Presets (default: {DEFAULT}); its settings are the defaults shown below:\n" + "\n".join(lines)


def _shorthand(argument: str) -> list[str]:
    """--data=X as two words; everything else as it is."""
    return list(argument.partition("=")[::2]) if argument.startswith("--data=") else [argument]


def _gather(option: str, arguments: list[str]) -> list[str]:
    """`--x a --x b` as `--x a b`: of an option that is given twice tyro would take the last."""
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
    """`--data WHAT` is short for --data.source and --data.path, or for the weights of a mixture: see `settings_of`."""
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
    """`--out PLACE/NAME` is short for --run.folder PLACE --run.name NAME."""
    if (given := _value_of("--out", arguments)) is None:
        return arguments
    if not given or not (place := Path(given)).name:
        raise ValueError(f"--out is {given!r}: name the run's own folder, such as runs/first")
    words = iter(arguments)
    rest = [word for word in words if not word.startswith("--out=") and not (word == "--out" and next(words))]
    return [*rest, "--run.folder", str(place.parent), "--run.name", place.name]


def _expand_profile(arguments: list[str]) -> list[str]:
    """`--profile`, which may be followed by FIRST,LAST, is short for --run.profile-steps."""
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
