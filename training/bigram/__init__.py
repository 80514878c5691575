"""The bigram course: nine stages from a bigram table to a GPT, their loop and figures."""
