// Sends a scan to `bedside serve`, follows it, and writes the label map. Needs .NET 8, or Mono, and no package.
//
//     dotnet run -- http://127.0.0.1:8650 ct.nii.gz labels.nii.gz
//
// A token is read from BEDSIDE_TOKEN. Exit codes are those of `bedside segment`.

using System;
using System.Globalization;
using System.IO;
using System.Net.Http;
using System.Runtime.Serialization;
using System.Threading;
using System.Threading.Tasks;

namespace Segment
{
    internal static class Program
    {
        private static int Main(string[] arguments)
        {
            if (arguments.Length != 3 || !Uri.TryCreate(arguments[0].TrimEnd('/') + "/", UriKind.Absolute, out var address))
            {
                Console.Error.WriteLine("usage: segment URL SCAN LABELS");
                return (int)ExitCode.Usage;
            }

            using (var cancel = new CancellationTokenSource())
            using (var service = new Service(address, Environment.GetEnvironmentVariable("BEDSIDE_TOKEN")))
            {
                Console.CancelKeyPress += (sender, press) =>
                {
                    press.Cancel = true; // the program ends by itself, once the job is removed
                    cancel.Cancel();
                };
                try
                {
                    return SegmentAsync(service, arguments[1], arguments[2], cancel.Token).GetAwaiter().GetResult();
                }
                catch (Exception) when (cancel.IsCancellationRequested)
                {
                    Console.Error.WriteLine("segment: cancelled");
                    return (int)ExitCode.Interrupted;
                }
                catch (FailedException failed)
                {
                    Console.Error.WriteLine("segment: " + failed.Message);
                    return failed.Code;
                }
                catch (Exception error) when (IsResource(error))
                {
                    Console.Error.WriteLine("segment: " + error.GetBaseException().Message);
                    return (int)ExitCode.Resource;
                }
            }
        }

        private static async Task<int> SegmentAsync(Service service, string scan, string output, CancellationToken cancel)
        {
            var id = (await service.SendAsync(scan, cancel).ConfigureAwait(false)).Id;
            try
            {
                var job = await FollowAsync(service, id, cancel).ConfigureAwait(false);
                if (job.Result == null)
                {
                    throw new FailedException(job.Code ?? (int)ExitCode.Resource, job.Error?.Message ?? job.State);
                }

                await service.SaveLabelsAsync(id, output, cancel).ConfigureAwait(false);
                foreach (var warning in job.Result.Warnings)
                {
                    Console.Error.WriteLine("look at it: " + warning);
                }

                foreach (var volume in job.Result.Volumes)
                {
                    Console.WriteLine(string.Format(CultureInfo.InvariantCulture, "{0}: {1:0.000} ml", volume.Key, volume.Value));
                }

                return job.Code ?? (int)ExitCode.Ok;
            }
            finally
            {
                await RemoveAsync(service, id).ConfigureAwait(false);
            }
        }

        // Failing here does not change what became of the scan: the service removes its files itself, later.
        private static async Task RemoveAsync(Service service, string id)
        {
            try
            {
                await service.RemoveAsync(id).ConfigureAwait(false);
            }
            catch (Exception error) when (error is FailedException || IsResource(error))
            {
                Console.Error.WriteLine("segment: the job could not be removed from the service: " + error.Message);
            }
        }

        private static async Task<Job> FollowAsync(Service service, string id, CancellationToken cancel)
        {
            try
            {
                return await service.FollowAsync(id, Show, cancel).ConfigureAwait(false);
            }
            finally
            {
                Console.Error.WriteLine();
            }
        }

        private static void Show(Job job)
        {
            if (job.State == "running")
            {
                Console.Error.Write($"\r{job.Done} of {job.Total} windows");
            }
        }

        // What goes wrong between two machines or on the disk; anything else is a fault of this program, and ends it.
        private static bool IsResource(Exception error)
        {
            return error is HttpRequestException || error is IOException || error is UnauthorizedAccessException
                || error is SerializationException || error is OperationCanceledException;
        }
    }
}
