"""What all tests stand on."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what it runs in the background so, and its children with it: some tests press
    # Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
