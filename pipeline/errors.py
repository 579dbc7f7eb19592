"""Errors that are the user's to mend, as opposed to bugs."""


class InputError(ValueError):
    """Something the user gave cannot be used: the message is one line naming the input and the remedy.

    Jobs print the message without a traceback and exit with status 2.
    """
