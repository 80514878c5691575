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
from contextlib import ExitStack

from gpt_from_scratch.training.cli import parse
from gpt_from_scratch.training.distributed import ranks_from_environment
from gpt_from_scratch.training.loop import TooManySkippedStepsError
from gpt_from_scratch.training.start import prepared

EXIT_USER_ERROR, EXIT_NOT_FINITE = 2, 3


def main(argv: list[str]) -> int:
    """Run a command line; returns the exit status: 0 done or stopped and saved, 2 a mistake, 3 too many bad steps."""
    ranks = ranks_from_environment()
    with ExitStack() as stack:
        try:
            session = stack.enter_context(prepared(parse(argv), ranks))
        except (ValueError, FileNotFoundError, FileExistsError, RuntimeError) as error:
            # What can be wrong before the first step is the user's to change: words, no traceback.
            print(f"error{'' if ranks.size == 1 else f' on rank {ranks.rank}'}: {error}", file=sys.stderr, flush=True)
            return EXIT_USER_ERROR
        try:
            session.run()
        except TooManySkippedStepsError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            return EXIT_NOT_FINITE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
