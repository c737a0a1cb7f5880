# Sidekiq's own client: URL of the server, jobs, `one` (push) or `many` (push_bulk of 100).
# Prints its own cost as JSON, without the start of Ruby and the connecting.
require "json"
require "sidekiq"

url, jobs, way = ARGV[0], ARGV[1].to_i, ARGV[2]
AT_ONCE = 100
VALUE = "x" * 80
Sidekiq.configure_client { |config| config.redis = { url: url } }
client = Sidekiq::Client.new
client.push("class" => "Work", "queue" => "bench", "args" => [VALUE])

def cpu = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
def wall = Process.clock_gettime(Process::CLOCK_MONOTONIC)

begun = [cpu, wall]
if way == "one"
  jobs.times { client.push("class" => "Work", "queue" => "bench", "args" => [VALUE]) }
else
  many = Array.new(AT_ONCE) { [VALUE] }
  jobs -= jobs % AT_ONCE
  (jobs / AT_ONCE).times { client.push_bulk("class" => "Work", "queue" => "bench", "args" => many) }
end
puts({ jobs: jobs, cpu_s: cpu - begun[0], wall_s: wall - begun[1] }.to_json)
