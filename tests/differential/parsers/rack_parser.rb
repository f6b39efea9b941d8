# Rack, the base of Rails and Sinatra: the map of paths, and the parameters of a request.
require "json"
require "rack"
require "stringio"

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange".freeze

def grant?(value)
  case value
  when String then value.scrub.strip.downcase == GRANT
  when Array then value.any? { |element| grant?(element) }
  when Hash then value.each_value.any? { |element| grant?(element) }
  else false
  end
end

def json_grant?(body)
  # An error is slow. JSON can begin with a comment.
  return false unless body.lstrip.start_with?("{", "/")

  value = JSON.parse(body.dup.force_encoding("UTF-8"))
  value.is_a?(Hash) && grant?(value["grant_type"])
rescue StandardError, SystemStackError
  false
end

def parameters?(request)
  [:GET, :POST].any? { |source| grant?(request.public_send(source)["grant_type"]) }
rescue StandardError
  # The server answers 400.
  false
end

def answers?(env)
  parameters?(Rack::Request.new(env)) || json_grant?(env["body"])
end

FOUND = ->(env) { [answers?(env) ? 200 : 404, {}, []] }
APP = Rack::URLMap.new("/token" => FOUND)

def read_request(message)
  head, _, body = message.partition("\r\n\r\n".b)
  first, *lines = head.split("\r\n")
  method, target, = first.split(" ")
  path, _, query = target.partition("?")
  env = {
    "REQUEST_METHOD" => method, "SCRIPT_NAME" => "", "QUERY_STRING" => query, "HTTP_HOST" => "as.example",
    "SERVER_NAME" => "as.example", "SERVER_PORT" => "80", "CONTENT_LENGTH" => body.bytesize.to_s,
    "rack.url_scheme" => "http", "rack.input" => StringIO.new(body), "body" => body
  }
  lines.each do |line|
    name, value = line.split(": ", 2)
    key = name.upper_key
    env[key == "CONTENT_TYPE" ? key : "HTTP_#{key}"] = value || ""
  end
  [path, env]
end

class String
  def upper_key = upcase.tr("-", "_")
end

def grant_in?(message)
  path, env = read_request(message)
  # Some servers decode the path, and others leave that to the application.
  [path, Rack::Utils.unescape_path(path)].uniq.any? do |path_info|
    env["rack.input"].rewind
    APP.call(env.merge("PATH_INFO" => path_info))[0] == 200
  end
rescue ArgumentError
  false
end

$stdin.binmode
$stdout.binmode
puts "Rack #{Rack.release} on Ruby #{RUBY_VERSION}"
$stdout.flush
while (count = $stdin.read(4))
  messages = Array.new(count.unpack1("V")) { $stdin.read($stdin.read(4).unpack1("V")) || "".b }
  $stdout.write(messages.map { |message| grant_in?(message) ? "1" : "0" }.join)
  $stdout.flush
end
