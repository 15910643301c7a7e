"""Runs a command line in which a socket of the internet is fatal: the kernel ends the process that asks for one.

A seccomp filter, which needs no privileges and which children inherit: `socket` with the family AF_INET or AF_INET6
ends the process with SIGSYS. Arguments: the program and its words.
"""

import ctypes
import os
import platform
import socket
import struct
import sys

SOCKET_CALL = {"x86_64": 41, "aarch64": 198}[platform.machine()]
NO_NEW_PRIVILEGES, SET_FILTER, FILTER = 38, 22, 2  # prctl, linux/prctl.h and linux/seccomp.h
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
KILL_PROCESS, ALLOW = 0x8000_0000, 0x7FFF_0000
NUMBER, FIRST_ARGUMENT = 0, 16  # offsets in struct seccomp_data


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


def forbid_internet():
    program = b"".join(
        (
            instruction(LOAD, NUMBER),
            instruction(IF_EQUAL, SOCKET_CALL, 0, 3),
            instruction(LOAD, FIRST_ARGUMENT),
            instruction(IF_EQUAL, socket.AF_INET, 2, 0),
            instruction(IF_EQUAL, socket.AF_INET6, 1, 0),
            instruction(RETURN, ALLOW),
            instruction(RETURN, KILL_PROCESS),
        )
    )
    code = ctypes.create_string_buffer(program)
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SET_FILTER, FILTER, described, 0, 0)):
        if libc.prctl(*words) != 0:
            raise OSError(ctypes.get_errno(), "the kernel takes no seccomp filter")


forbid_internet()
os.execvp(sys.argv[1], sys.argv[1:])
