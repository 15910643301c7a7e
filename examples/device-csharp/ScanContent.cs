// A scan as the body of a request: read as it is sent.

using System.IO;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Threading.Tasks;

namespace Segment
{
    internal sealed class ScanContent : HttpContent
    {
        private const int BlockBytes = 1 << 16;
        private readonly FileStream _file;
        private volatile bool _isSent;

        public ScanContent(FileStream file)
        {
            _file = file;
            Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        }

        // Whether the whole scan is on its way, so that the service may accept it.
        public bool IsSent => _isSent;

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext context)
        {
            _file.Position = 0;
            await _file.CopyToAsync(stream, BlockBytes).ConfigureAwait(false);
            _isSent = true;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = _file.Length;
            return true;
        }
    }
}
