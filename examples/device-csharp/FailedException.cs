// Why the program ends without a label map: an exit code of `bedside segment`, and one line.

using System;

namespace Segment
{
    internal enum ExitCode
    {
        Ok = 0,
        Usage = 2,
        Input = 3,
        Resource = 5,
        Interrupted = 130,
    }

    internal sealed class FailedException : Exception
    {
        public FailedException(int code, string message)
            : base(message)
        {
            Code = code;
        }

        public FailedException(ExitCode code, string message)
            : this((int)code, message)
        {
        }

        public int Code { get; }
    }
}
