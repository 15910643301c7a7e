// The requests to `bedside serve`.

using System;
using System.IO;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Runtime.Serialization;
using System.Threading;
using System.Threading.Tasks;

namespace Segment
{
    internal sealed class Service : IDisposable
    {
        private const int Attempts = 30;
        private const string Jobs = "api/v1/jobs";
        private static readonly TimeSpan Pause = TimeSpan.FromSeconds(10);

        // The service sends a line every 10 seconds even where nothing happens.
        private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(60);
        private readonly HttpClient _client;

        public Service(Uri address, string token)
        {
            // A scan goes to the address that was given, and to no other.
            var handler = new HttpClientHandler { AllowAutoRedirect = false, UseProxy = false };
            _client = new HttpClient(handler) { BaseAddress = address, Timeout = Timeout.InfiniteTimeSpan };
            if (!string.IsNullOrEmpty(token))
            {
                _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
            }
        }

        public void Dispose()
        {
            _client.Dispose();
        }

        // Sends a scan; waits where the service has no memory or no place for it now.
        public async Task<Job> SendAsync(string scan, CancellationToken cancel)
        {
            for (var attempt = 1; ; attempt++)
            {
                using (var file = OpenScan(scan))
                using (var content = new ScanContent(file))
                using (var answer = await PostAsync(content, cancel).ConfigureAwait(false))
                {
                    if (answer.StatusCode == HttpStatusCode.Accepted)
                    {
                        return Json.Read<Job>(await answer.Content.ReadAsStringAsync().ConfigureAwait(false));
                    }

                    if (answer.StatusCode != HttpStatusCode.ServiceUnavailable || attempt == Attempts)
                    {
                        throw await RefusedAsync(answer).ConfigureAwait(false);
                    }

                    await Task.Delay(answer.Headers.RetryAfter?.Delta ?? Pause, cancel).ConfigureAwait(false);
                }
            }
        }

        // Follows a job by server-sent events to its end.
        public async Task<Job> FollowAsync(string id, Action<Job> progress, CancellationToken cancel)
        {
            const string Data = "data: ";
            var path = $"{Jobs}/{id}/events";
            var option = HttpCompletionOption.ResponseHeadersRead;
            using (var answer = await _client.GetAsync(path, option, cancel).ConfigureAwait(false))
            {
                await ExpectSuccessAsync(answer).ConfigureAwait(false);
                using (var body = await answer.Content.ReadAsStreamAsync().ConfigureAwait(false))
                using (var reader = new StreamReader(body))
                {
                    string line;
                    while ((line = await ReadLineAsync(reader, cancel).ConfigureAwait(false)) != null)
                    {
                        if (!line.StartsWith(Data, StringComparison.Ordinal))
                        {
                            continue;
                        }

                        var job = Json.Read<Job>(line.Substring(Data.Length));
                        if (job.Code != null)
                        {
                            return job;
                        }

                        progress(job);
                    }
                }
            }

            throw new FailedException(ExitCode.Resource, "the service ended before the job did");
        }

        // Downloads the label map; a file that is there is replaced by a whole one or not at all.
        public async Task SaveLabelsAsync(string id, string output, CancellationToken cancel)
        {
            var option = HttpCompletionOption.ResponseHeadersRead;
            using (var answer = await _client.GetAsync($"{Jobs}/{id}/labels", option, cancel).ConfigureAwait(false))
            {
                await ExpectSuccessAsync(answer).ConfigureAwait(false);
                await WholeFile.WriteAsync(output, answer.Content, cancel).ConfigureAwait(false);
            }
        }

        // Cancels a job, and removes its files from the service.
        public async Task RemoveAsync(string id)
        {
            using (var answer = await _client.DeleteAsync($"{Jobs}/{id}").ConfigureAwait(false))
            {
                await ExpectSuccessAsync(answer).ConfigureAwait(false);
            }
        }

        // Once the whole scan is sent, the service may have accepted it. Then the answer is waited for all the same:
        // without it nobody would know which job to remove.
        private async Task<HttpResponseMessage> PostAsync(ScanContent content, CancellationToken cancel)
        {
            using (var sending = new CancellationTokenSource())
            using (cancel.Register(() =>
            {
                if (!content.IsSent)
                {
                    sending.Cancel();
                }
            }))
            {
                return await _client.PostAsync(Jobs, content, sending.Token).ConfigureAwait(false);
            }
        }

        private static FileStream OpenScan(string scan)
        {
            try
            {
                return new FileStream(scan, FileMode.Open, FileAccess.Read, FileShare.Read);
            }
            catch (Exception error) when (error is IOException || error is UnauthorizedAccessException)
            {
                throw new FailedException(ExitCode.Input, "the scan cannot be read");
            }
        }

        private static async Task<string> ReadLineAsync(StreamReader reader, CancellationToken cancel)
        {
            var line = reader.ReadLineAsync();
            if (await Task.WhenAny(line, Task.Delay(LongestSilence, cancel)).ConfigureAwait(false) == line)
            {
                return await line.ConfigureAwait(false);
            }

            cancel.ThrowIfCancellationRequested();
            throw new FailedException(ExitCode.Resource, "the service is silent");
        }

        private static async Task ExpectSuccessAsync(HttpResponseMessage answer)
        {
            if (!answer.IsSuccessStatusCode)
            {
                throw await RefusedAsync(answer).ConfigureAwait(false);
            }
        }

        private static async Task<FailedException> RefusedAsync(HttpResponseMessage answer)
        {
            try
            {
                var text = await answer.Content.ReadAsStringAsync().ConfigureAwait(false);
                var failure = Json.Read<Refusal>(text)?.Error;
                if (failure != null)
                {
                    return new FailedException(failure.Code, failure.Message);
                }
            }
            catch (SerializationException)
            {
                // A proxy, or something else that is no bedside service: its status says what there is to say.
            }

            return new FailedException(ExitCode.Resource, $"the service answered with status {(int)answer.StatusCode}");
        }
    }
}
