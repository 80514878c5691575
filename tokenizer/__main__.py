"""``python -m gpt_from_scratch.tokenizer``: see `command_line`."""

import sys

from gpt_from_scratch.tokenizer.command_line import main

if __name__ == "__main__":
    sys.exit(main())
