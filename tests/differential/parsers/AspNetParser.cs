// ASP.NET as Mono has it: the parameters of a request, which are the query, the form and the cookies.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Web;
using System.Web.Hosting;

sealed class Worker : SimpleWorkerRequest
{
    readonly string method, path, query;
    readonly Dictionary<string, string> headers;
    readonly byte[] body;

    public Worker(string method, string path, string query, Dictionary<string, string> headers, byte[] body)
        : base("/", "/", "", query, TextWriter.Null)
    {
        this.method = method;
        this.path = path;
        this.query = query;
        this.headers = headers;
        this.body = body;
    }

    public override string GetHttpVerbName() { return method; }
    public override string GetQueryString() { return query; }
    public override byte[] GetQueryStringRawBytes() { return Encoding.GetEncoding(28591).GetBytes(query); }
    public override string GetUriPath() { return path; }
    public override byte[] GetPreloadedEntityBody() { return body; }
    public override bool IsEntireEntityBodyIsPreloaded() { return true; }

    public override string GetKnownRequestHeader(int index)
    {
        string value;
        if (index == HeaderContentLength) return body.Length.ToString();
        return headers.TryGetValue(GetKnownRequestHeaderName(index).ToLowerInvariant(), out value) ? value : null;
    }
}

static class AspNetParser
{
    const string Grant = "urn:ietf:params:oauth:grant-type:token-exchange";

    static bool IsGrant(string[] values)
    {
        return values != null && Array.Exists(values, value => value != null && value.Trim().ToLowerInvariant() == Grant);
    }

    static bool IsEndpoint(string path)
    {
        string read = HttpUtility.UrlDecode(path).ToLowerInvariant().TrimEnd();
        return read == "/token" || read.StartsWith("/token/", StringComparison.Ordinal);
    }

    static bool HasGrant(byte[] message)
    {
        string text = Encoding.GetEncoding(28591).GetString(message);
        int end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        string[] lines = text.Substring(0, end).Split(new[] { "\r\n" }, StringSplitOptions.None);
        string[] first = lines[0].Split(' ');
        string[] target = first[1].Split(new[] { '?' }, 2);
        if (!IsEndpoint(target[0])) return false;
        var headers = new Dictionary<string, string>();
        for (int i = 1; i < lines.Length; i++)
        {
            string[] sides = lines[i].Split(new[] { ": " }, 2, StringSplitOptions.None);
            headers[sides[0].ToLowerInvariant()] = sides.Length > 1 ? sides[1] : "";
        }
        byte[] body = new byte[message.Length - end - 4];
        Array.Copy(message, end + 4, body, 0, body.Length);
        string query = target.Length > 1 ? target[1] : "";
        try
        {
            var request = new HttpContext(new Worker(first[0], "/token", query, headers, body)).Request;
            if (IsGrant(request.QueryString.GetValues("grant_type")) || IsGrant(request.Form.GetValues("grant_type"))) return true;
            var cookie = request.Cookies["grant_type"];
            return cookie != null && IsGrant(new[] { HttpUtility.UrlDecode(cookie.Value) });
        }
        catch (HttpException)
        {
            // The server answers 400.
            return false;
        }
    }

    static void Main()
    {
        Console.Out.WriteLine("ASP.NET of Mono " + Environment.Version);
        Console.Out.Flush();
        var input = new BinaryReader(new BufferedStream(Console.OpenStandardInput(), 1 << 20));
        Stream output = Console.OpenStandardOutput();
        while (true)
        {
            byte[] answers;
            try { answers = new byte[input.ReadUInt32()]; }
            catch (EndOfStreamException) { return; }
            for (int i = 0; i < answers.Length; i++)
            {
                answers[i] = (byte)(HasGrant(input.ReadBytes((int)input.ReadUInt32())) ? '1' : '0');
            }
            output.Write(answers, 0, answers.Length);
            output.Flush();
        }
    }
}
