"""Types commands into redis-cli on a terminal, and looks for the hints that it shows from COMMAND DOCS."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

PATIENCE = 30.0

HINTS = [
    ("QPUSH ", "queue payload [AT unix-ms|DELAY ms] [ATTEMPTS n] [DEDUPE key"),
    ("QPUSH mail hello ", "[AT unix-ms|DELAY ms]"),
    ("QCLAIM mail ", "[ACK numreceipts [receipt [receipt ...]]] [BLOCK ms] [BOUND] [COUNT n]"),
    ("QACK mail ", "receipt [receipt ...]"),
    ("QCONFIG SET mail ", "setting value [setting value ...]"),
    ("QMCLAIM ", "MATCH numglobs glob [glob ...] [EXCEPT numglobs glob [glob ...]]|QUEUES numqueues queue"),
    ("SLOWLOG GET ", "[count]"),
    ("MEMORY USAGE ", "key"),
]

LINE_CLEAR = b"\x15"


def read_until(terminal, wanted, what):
    """Reads until the terminal has shown the text, colours and cursor movements left out."""
    shown, deadline = "", time.monotonic() + PATIENCE
    while wanted not in shown:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            sys.exit(f"{what}: no '{wanted}' in {shown!r}")
        chunk = os.read(terminal, 65536).decode("utf-8", "replace")
        shown += re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", chunk)


def main():
    process, terminal = pty.fork()
    if process == 0:
        os.environ["TERM"] = "xterm"
        # Its history must not be that of whoever runs the tests.
        os.environ["REDISCLI_HISTFILE"] = "/dev/null"
        os.execvp("redis-cli", ["redis-cli", "-p", sys.argv[1]])
    # Without a width it would ask the terminal for it, and nobody would answer; wide, so that no hint is cut.
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 250, 0, 0))
    read_until(terminal, "> ", "the prompt")
    for typed, hint in HINTS:
        # Key by key: what comes in one piece is taken for pasted, and gets no hint in between.
        for key in typed:
            os.write(terminal, key.encode())
        read_until(terminal, typed + hint, typed)
        os.write(terminal, LINE_CLEAR)
    os.close(terminal)
    os.waitpid(process, 0)
    print("ok")


main()
