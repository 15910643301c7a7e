// A download that appears at its path as a whole, or not at all.

using System.IO;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;

namespace Segment
{
    internal static class WholeFile
    {
        private const int BlockBytes = 1 << 16;

        public static async Task WriteAsync(string path, HttpContent content, CancellationToken cancel)
        {
            var part = path + ".part";
            try
            {
                using (var file = new FileStream(part, FileMode.Create, FileAccess.Write))
                using (var body = await content.ReadAsStreamAsync().ConfigureAwait(false))
                {
                    await body.CopyToAsync(file, BlockBytes, cancel).ConfigureAwait(false);
                    if (file.Length != (content.Headers.ContentLength ?? file.Length))
                    {
                        throw new IOException("the connection ended within the label map");
                    }

                    file.Flush(true);
                }

                Rename(part, path);
            }
            finally
            {
                File.Delete(part);
            }
        }

        private static void Rename(string part, string path)
        {
            if (File.Exists(path))
            {
                File.Replace(part, path, null);
            }
            else
            {
                File.Move(part, path);
            }
        }
    }
}
