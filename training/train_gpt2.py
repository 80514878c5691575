"""Train a GPT through the backend registry.

    torchrun training/train_gpt2.py                                     # `tiny`: stories, two minutes on a laptop
    torchrun training/train_gpt2.py --backend fastest                   # time every kernel first, take the winners
    torchrun training/train_gpt2.py shakespeare-char                    # Tiny Shakespeare by characters
    torchrun training/train_gpt2.py --data my_texts/                    # your own text
    torchrun training/train_gpt2.py --resume runs/NAME                  # go on, exactly where it stood
    torchrun --nproc-per-node 8 training/train_gpt2.py gpt2-124m        # GPT-2 on eight GPUs

`--help` lists the presets and every setting. With `--max-restarts N`, torchrun starts the ranks again when one is lost, and
they go on from the newest checkpoint; a scheduler that starts the whole command again gives `--run.name NAME --resume auto`.
Several hosts, each with this line (they share the folder of the run; a host may go and come back; give each its
`--local-addr` where its own name stands for 127.0.0.1):

    torchrun --nnodes 1:4 --nproc-per-node 8 --max-restarts 10 --rdzv-backend c10d --rdzv-endpoint FIRST_HOST:29400 \
        --rdzv-id NAME training/train_gpt2.py gpt2-124m --run.name NAME --resume auto

A rank that hangs is noticed after `--run.timeout`; torchrun then gives it 30 s to end before it kills it and starts all again.

Ctrl-C, SIGTERM, SIGQUIT and SIGHUP (unless `nohup` has it ignored) save the step at hand and end the run; Ctrl-C again ends
it at once.
torchrun takes SIGHUP from `nohup`: `nohup torchrun --signals-to-handle SIGTERM,SIGINT,SIGQUIT ...` outlives its terminal.

Exit status: 0 done, or stopped by a signal and saved; 2 a mistake of the user's; 3 too many steps that were not finite;
4 another rank was lost; 5 stopped and saved because another host was told to, which torchrun takes as a reason to go on;
6 the disk did not take the last checkpoint, though it was asked again: the one before it stays; 129, 130, 131, 143 ended by
SIGHUP, SIGINT, SIGQUIT, SIGTERM without saving: before the first step was done, or by a second Ctrl-C.
"""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("train_gpt2", "gpt_from_scratch.training.train_gpt2:process")


import faulthandler
import io
import signal
import sys
from contextlib import ExitStack, suppress

from gpt_from_scratch.support.command_line.command import MISTAKE, MISTAKES, complain, in_words
from gpt_from_scratch.support.command_line.streams import surviving
from gpt_from_scratch.support.torchrun import first_to_say, report_failure
from gpt_from_scratch.training.checkpoints import NonFiniteError, UnsavedError
from gpt_from_scratch.training.ranks.heartbeat import PeerLostError
from gpt_from_scratch.training.ranks.process_group import Ranks, ranks_from_environment
from gpt_from_scratch.training.ranks.rendezvous import AbsentRanksError
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.session import prepared
from gpt_from_scratch.training.run.stop_signals import Stopped
from gpt_from_scratch.training.run.trainer import TooManySkippedStepsError

EXIT_USER_ERROR, EXIT_NOT_FINITE, EXIT_PEER_LOST, EXIT_STOPPED_WITH_OTHERS, EXIT_UNSAVED = MISTAKE, 3, 4, 5, 6


def process(argv: list[str]) -> int:
    """`main` as all that its process is for: a second Ctrl-C ends it, whatever it is at."""
    return main(argv, ends_process=True)


def main(argv: list[str], *, ends_process: bool = False) -> int:
    """Run a command line; returns the exit status. No failure of a terminal, a pipe or a log ends it."""
    with suppress(io.UnsupportedOperation, RuntimeError):  # a standard error that is no file, as in a test, or closed
        faulthandler.register(signal.SIGUSR1)  # `kill -USR1` prints where a process stands
    ranks = ranks_from_environment()
    with surviving():
        try:
            return run(argv, ranks, ends_process)
        except (PeerLostError, AbsentRanksError) as error:
            print(f"error on rank {ranks.rank}: {error}", file=sys.stderr, flush=True)
            return EXIT_PEER_LOST
        except Stopped as stopped:  # which has been said: each signal is acknowledged the moment it comes
            return stopped.status


def run(argv: list[str], ranks: Ranks, ends_process: bool = False) -> int:
    """Prepare and train.

    Raises:
        Stopped: a signal ended it, before there was anything to save or because it came twice.
        PeerLostError, AbsentRanksError: it is another rank's fault; any other error is a defect, with its traceback.
    """
    with ExitStack() as stack:
        try:
            session = stack.enter_context(prepared(parse(argv), ranks, ends_process=ends_process))
        except (PeerLostError, AbsentRanksError):
            raise
        except MISTAKES as error:
            # What can be wrong before the first step is the user's to change: words, no traceback.
            tell_mistake(in_words(error), ranks)
            return EXIT_USER_ERROR
        try:
            done = session.run()
        except (TooManySkippedStepsError, NonFiniteError) as error:
            complain(f"error: {error}")
            return EXIT_NOT_FINITE
        except UnsavedError as error:
            complain(f"error: {error}")
            return EXIT_UNSAVED
    if not done and ranks.hosts > 1 and not session.was_told_to_stop:
        return EXIT_STOPPED_WITH_OTHERS
    return 0


def tell_mistake(words: str, ranks: Ranks) -> None:
    """Say what a user can put right; a mistake that ranks of one host share is told once."""
    if ranks.size == 1:
        complain(f"error: {words}")
        return
    # torchrun ends the others when it sees the first end: each ends by itself, with its own status.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if first_to_say(words):
        complain(f"error on rank {ranks.rank}: {words}")
    report_failure(words)
