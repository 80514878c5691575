"""``python -m gpt_from_scratch.tokenizer``: see `command_line`."""

if __name__ == "__main__":
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("tokenizer", "gpt_from_scratch.tokenizer.command_line:main")
