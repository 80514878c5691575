"""`python -m gpt_from_scratch.training.report`: the same as `gpt report`."""

if __name__ == "__main__":
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("report", "gpt_from_scratch.training.commands.report:main")
