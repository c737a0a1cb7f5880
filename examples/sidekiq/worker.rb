# A Sidekiq job.
require "sidekiq"
require_relative "tell_plg"

Sidekiq.configure_server do |config|
  config.redis = { url: ENV.fetch("REDIS_URL", "redis://localhost:6379/0") }
  config.server_middleware { |chain| chain.add TellPlg } # tells plg when each job was started and done
end

class ChargeJob
  include Sidekiq::Worker

  def perform(order, currency, amount)
    sleep 0.01
    puts "charged order #{order}: #{amount} #{currency}"
    $stdout.flush
  end
end
