"""Train a GPT through the backend registry.

    torchrun training/train_gpt2.py                                     # `tiny`: stories, two minutes on a laptop
    torchrun training/train_gpt2.py --backend fastest                   # time every kernel first, take the winners
    torchrun training/train_gpt2.py shakespeare-char                    # Tiny Shakespeare by characters
    torchrun training/train_gpt2.py --data my_texts/                    # your own text
    torchrun training/train_gpt2.py --resume runs/NAME                  # go on, exactly where it stood
    torchrun --nproc-per-node 8 training/train_gpt2.py gpt2-124m        # GPT-2 on eight GPUs

`--help` lists the presets and every setting.
"""

import sys

from gpt_from_scratch.support.downloads import DownloadError
from gpt_from_scratch.training.cli import fail, parse
from gpt_from_scratch.training.distributed import ranks_from_environment
from gpt_from_scratch.training.loop import TooManySkippedStepsError
from gpt_from_scratch.training.start import train

EXIT_USER_ERROR, EXIT_NOT_FINITE = 2, 3


def main(argv: list[str]) -> int:
    """Run a command line; returns the exit status: 0 done or stopped and saved, 2 a mistake, 3 too many bad steps."""
    ranks = ranks_from_environment()
    try:
        train(parse(argv), ranks)
    except TooManySkippedStepsError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return EXIT_NOT_FINITE
    except (ValueError, FileNotFoundError, FileExistsError, RuntimeError, DownloadError) as error:
        if ranks.is_first:
            fail(str(error))
        return EXIT_USER_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
