require "socket"

class TellPlg
  WHO = "#{Socket.gethostname}:#{Process.pid}"

  def call(_worker, job, _queue)
    started, ending = Time.now.to_f, nil
    yield
    ending = "done"
  ensure
    tell(job, started, ending)
  end

  def tell(job, started, ending)
    runs = (job["retry_count"] || -1) + 2
    most = { true => 25, nil => 25, false => 0 }.fetch(job["retry"]) { |count| count.to_i }
    ending ||= runs <= most ? "retry" : "failed"
    entry = { id: job["jid"], s: started, f: Time.now.to_f, end: ending, n: runs, w: WHO, t: Time.now.to_f }
    words = entry.flat_map { |name, value| [name.to_s, value.to_s] }
    Sidekiq.redis { |redis| redis.call("XADD", "plg:far:#{job["jid"][0...-12]}", "NOMKSTREAM", "*", *words) }
  rescue StandardError
    nil # the job's own fate is not changed by it
  end
end
