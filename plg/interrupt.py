"""How a wait that cannot look for signals is ended by one."""


class Interrupted(BaseException):
    """A signal came. Like KeyboardInterrupt it is no error, and no handler of errors stops it."""
