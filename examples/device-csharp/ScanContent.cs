// A scan as the body of a request: read as it is sent, and cancelled within it.

using System.IO;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Threading;
using System.Threading.Tasks;

namespace Segment
{
    internal sealed class ScanContent : HttpContent
    {
        private const int BlockBytes = 1 << 16;
        private readonly FileStream _file;
        private readonly CancellationToken _cancel;

        public ScanContent(FileStream file, CancellationToken cancel)
        {
            _file = file;
            _cancel = cancel;
            Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        }

        // Only the body asks for the cancellation: once the whole scan is sent, the service may have accepted it, and
        // without its answer nobody would know which job to remove.
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext context)
        {
            _file.Position = 0;
            await _file.CopyToAsync(stream, BlockBytes, _cancel).ConfigureAwait(false);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = _file.Length;
            return true;
        }
    }
}
