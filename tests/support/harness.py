"""The frame of a system test: a file of functions test_*(lab), each with a laboratory of its own; closes with "N passed, N failed"."""
import argparse
import inspect
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

import lab as laboratory


def main(tests=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--weir", required=True, help="the agent's binary")
    parser.add_argument("--build", required=True, help="the build directory, for preloaded shims and the bench's generator")
    parser.add_argument("only", nargs="*", help="names of tests")
    options, _ = parser.parse_known_args()
    module = sys.modules["__main__"]
    if tests is None:
        tests = [f for name, f in inspect.getmembers(module, inspect.isfunction) if name.startswith("test_")]
        tests.sort(key=lambda f: f.__code__.co_firstlineno)
    passed = failed = 0
    for test in tests:
        if options.only and test.__name__ not in options.only:
            continue
        start = time.monotonic()
        directory = tempfile.mkdtemp(prefix=f"weir-{test.__name__}-")
        try:
            with laboratory.Lab(directory, options.weir) as lab:
                lab.build = pathlib.Path(options.build)
                test(lab)
            passed += 1
            print(f"ok      {test.__name__}  {time.monotonic() - start:.1f} s", flush=True)
            shutil.rmtree(directory, ignore_errors=True)
        except BaseException:
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print(f"FAILED  {test.__name__}; its files are in {directory}", flush=True)
            for log in pathlib.Path(directory).rglob("*.log"):
                print(f"--- {log.name}: ...{log.read_text(errors='replace')[-3000:]}")
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or passed == 0 else 0)
