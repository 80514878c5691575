"""`python -m gpt_from_scratch.benchmarks.gpu_report`: the documented name of `benchmarks.gpu.report`."""

from gpt_from_scratch.benchmarks.gpu.report import main

if __name__ == "__main__":
    main()
