"""Serve a model with an OpenAI-compatible API, and with a web page at its root.

    gpt serve runs/NAME --open                   # open the page in the browser
    gpt serve gpt2 --port 8001                   # OpenAI's weights, on another port

It listens only on the loopback interface unless --host is given. Any other address needs a token in $GPT_SERVE_TOKEN, which
clients send as their API key.
"""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("serve", "gpt_from_scratch.evals.serve.__main__:main")


import argparse
import contextlib
import os
import resource
import socket
import threading

from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.support.command_line.arguments import ArgumentParser, a_number, a_path, add_run, the_run
from gpt_from_scratch.support.command_line.browser import open_page
from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.support.command_line.streams import surviving

TOKEN_VARIABLE = "GPT_SERVE_TOKEN"
SPARE_FILES = 1 << 16  # connections are files, and the usual limit of 1,024 is soon reached


@surviving()
def main(argv: list[str]) -> int:
    """Serve until interrupted."""
    parser = _parser()
    args = parser.parse_args(argv)
    run = the_run(parser, args)
    try:
        import uvicorn

        from gpt_from_scratch.evals.serve.app import LOOPBACK_NAMES, Server
        from gpt_from_scratch.evals.serve.protection import PatientConnection, is_loopback
    except ImportError as error:
        raise RuntimeError(f"the server needs {error.name}: {how_to_install('serve')}") from error
    import torch

    from gpt_from_scratch.evals.serve.worker import Worker
    from gpt_from_scratch.models.checkpoints.opening import open_model

    token = os.environ.get(TOKEN_VARIABLE) or None
    if not is_loopback(args.host) and token is None:
        raise ValueError(
            f"--host {args.host} can be reached from other machines: set {TOKEN_VARIABLE} to a secret that clients must "
            f"send, or stay on 127.0.0.1"
        )
    limits = ServerLimits(max_tokens=args.max_tokens, queue=args.max_queue)
    checkpoint = open_model(run, device=args.device, tokenizer=args.tokenizer, name=args.name, ema=args.ema)
    if args.dtype == "bf16":
        checkpoint.model.to(torch.bfloat16)
    worker = Worker(checkpoint, max_rows=args.max_rows, max_queue=limits.queue)
    app = Server(checkpoint, worker, limits).app(token=token, hosts=(*LOOPBACK_NAMES, args.host, *args.allowed_host))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SPARE_FILES if hard == resource.RLIM_INFINITY else min(SPARE_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    with socket.create_server((args.host, args.port), family=family, backlog=2048) as listening:
        host = f"[{args.host}]" if family == socket.AF_INET6 else args.host
        port = listening.getsockname()[1]
        where = f"http://{host}:{port}"
        device = checkpoint.model.wte.weight.device
        print(
            f"{checkpoint.name} on {device} at {where}/v1  (a page to try it: {where}/; stop with Ctrl-C)", flush=True
        )
        if args.open:  # it is listening: a browser that is early waits in line
            threading.Thread(target=open_page, args=(_page(host, port),), daemon=True).start()
        config = uvicorn.Config(
            app,
            http=PatientConnection,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=2 * limits.head_bytes,  # what has not even become a head that can be refused
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
        )
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again once all is closed
            uvicorn.Server(config).run(sockets=[listening])
    return 0


def _page(host: str, port: int) -> str:
    """Address of the page for a browser on this machine, for a server that listens on `host`."""
    return f"http://{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}/"


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog="gpt serve",
        description=__doc__,
    )
    add_run(parser)
    parser.add_argument("--ema", action="store_true", help="use the moving average of the weights, if the run has one")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument("--tokenizer", type=a_path, help="the tokenizer's file, if the folder has none")
    parser.add_argument("--name", help="the model's name for clients; default: the names of the run and the step")
    parser.add_argument("--device", default="auto", help="default: the accelerator if there is one")
    parser.add_argument(
        "--dtype", choices=["fp32", "bf16"], default="fp32", help="of weights and activations; default: %(default)s"
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument(
        "--port", type=a_number(0, 65535), default=8000, help="port; 0: any free port; default: %(default)s"
    )
    parser.add_argument("--allowed-host", action="append", default=[], help="another host name of this server")
    parser.add_argument(
        "--max-rows",
        type=a_number(1, 100_000),
        default=64,
        help="maximum number of sequences generated at once; default: %(default)s",
    )
    parser.add_argument(
        "--max-queue",
        type=a_number(1, 10**7),
        default=ServerLimits.queue,
        help="maximum number of sequences running or waiting; default: %(default)s",
    )
    parser.add_argument(
        "--max-tokens",
        type=a_number(1, 10**7),
        default=4096,
        help="maximum number of tokens per request; default: %(default)s",
    )
    return parser
