"""Runs a command line in which reaching out is fatal: the kernel ends the process that connects or sends.

A seccomp filter, which needs no privileges and which children inherit: `connect` and `sendto` with an address of the
length of an IPv4 or IPv6 address end the process with SIGSYS, `sendmsg` and `sendmmsg` always. The filter cannot read
the address itself; those of the machine's own sockets (the name service cache, say) have other lengths. Making a socket
ends nothing: urllib3, which pydicom imports where `requests` is installed, binds one to ::1 to learn whether there is
IPv6. Arguments: the program and its words.
"""

import ctypes
import os
import platform
import struct
import sys

X86 = platform.machine() == "x86_64"
CONNECT, SENDTO, SENDMSG, SENDMMSG = (42, 44, 46, 307) if X86 else (203, 206, 211, 269)  # the other: aarch64
ADDRESS_LENGTHS = (16, 28)  # struct sockaddr_in and sockaddr_in6
NO_NEW_PRIVILEGES, SET_FILTER, FILTER = 38, 22, 2  # prctl, linux/prctl.h and linux/seccomp.h
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h
KILL_PROCESS, ALLOW = 0x8000_0000, 0x7FFF_0000
NUMBER, ARGUMENTS, ARGUMENT_SIZE = 0, 16, 8  # offsets in struct seccomp_data


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


def with_address(call, argument):
    """Instructions that end the process at this call where the argument is the length of an internet address."""
    short, long = ADDRESS_LENGTHS
    return (
        instruction(LOAD, NUMBER),
        instruction(IF_EQUAL, call, 0, 4),
        instruction(LOAD, ARGUMENTS + argument * ARGUMENT_SIZE),
        instruction(IF_EQUAL, short, 1),
        instruction(IF_EQUAL, long, 0, 1),
        instruction(RETURN, KILL_PROCESS),
    )


def forbid_internet():
    program = b"".join(
        (
            *with_address(CONNECT, 2),
            *with_address(SENDTO, 5),
            instruction(LOAD, NUMBER),
            instruction(IF_EQUAL, SENDMSG, 1),
            instruction(IF_EQUAL, SENDMMSG, 0, 1),
            instruction(RETURN, KILL_PROCESS),
            instruction(RETURN, ALLOW),
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
