// What the service answers, as far as this program reads it; /api/v1/openapi.json describes all of it.

using System.Collections.Generic;
using System.IO;
using System.Runtime.Serialization;
using System.Runtime.Serialization.Json;
using System.Text;

namespace Segment
{
    // The body of an answer with a status of 400 or more.
    [DataContract]
    internal sealed class Refusal
    {
        [DataMember(Name = "error")]
        public Failure Error { get; set; }
    }

    [DataContract]
    internal sealed class Failure
    {
        // The exit code that `bedside segment` has for the same.
        [DataMember(Name = "code")]
        public int Code { get; set; }

        [DataMember(Name = "message")]
        public string Message { get; set; }
    }

    [DataContract]
    internal sealed class Job
    {
        [DataMember(Name = "id")]
        public string Id { get; set; }

        // queued, running, done, failed or cancelled.
        [DataMember(Name = "state")]
        public string State { get; set; }

        // Windows done, and in total.
        [DataMember(Name = "done")]
        public int Done { get; set; }

        [DataMember(Name = "total")]
        public int Total { get; set; }

        // Null until the job is finished.
        [DataMember(Name = "code")]
        public int? Code { get; set; }

        [DataMember(Name = "error")]
        public Failure Error { get; set; }

        [DataMember(Name = "result")]
        public Result Result { get; set; }
    }

    [DataContract]
    internal sealed class Result
    {
        // Label name to millilitres.
        [DataMember(Name = "volumes_ml")]
        public Dictionary<string, double> Volumes { get; set; }

        // Reasons for a person to look, one line each.
        [DataMember(Name = "warnings")]
        public List<string> Warnings { get; set; }
    }

    internal static class Json
    {
        private static readonly DataContractJsonSerializerSettings Settings =
            new DataContractJsonSerializerSettings { UseSimpleDictionaryFormat = true };

        // Raises SerializationException where the text is no such object.
        public static T Read<T>(string text)
        {
            using (var stream = new MemoryStream(Encoding.UTF8.GetBytes(text)))
            {
                return (T)new DataContractJsonSerializer(typeof(T), Settings).ReadObject(stream);
            }
        }
    }
}
