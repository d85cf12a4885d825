#!/usr/bin/python3
"""Whether machines answer on a TCP port, and how fast, for a source of kind execd: it runs for as long as the agent does.

  - {name: reach, kind: execd, command: [/usr/local/lib/weir/tcp_check.py, --every, "10", "plc1:502", "192.168.1.9:80"]}

Gives tcp_check.up{target=...} and tcp_check.seconds{target=...}. Its stdin is a pipe that reaches its end when it is to stop.
"""
import argparse
import select
import socket
import sys
import time


def check(target, timeout):
    host, _, port = target.rpartition(":")
    start = time.monotonic()
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout):
            return True, time.monotonic() - start
    except (OSError, ValueError) as error:
        print(f"{target}: {error}", file=sys.stderr)  # becomes a line of Weir's log
        return False, None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=float, default=10.0, help="seconds")
    parser.add_argument("--timeout", type=float, default=3.0, help="seconds")
    parser.add_argument("targets", nargs="+", help="host:port")
    options = parser.parse_args()
    while True:
        for target in options.targets:
            up, seconds = check(target, options.timeout)
            took = f",seconds={seconds:.6f}" if up else ""
            print(f"tcp_check,target={target} up={'true' if up else 'false'}{took}", flush=True)  # flush: a pipe is buffered otherwise
        if select.select([sys.stdin], [], [], options.every)[0] and not sys.stdin.read(1):
            return  # the agent stops


if __name__ == "__main__":
    main()
