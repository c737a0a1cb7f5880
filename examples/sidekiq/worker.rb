# A Sidekiq job.
require "sidekiq"

Sidekiq.configure_server do |config|
  config.redis = { url: ENV.fetch("REDIS_URL", "redis://localhost:6379/0") }
end

class ChargeJob
  include Sidekiq::Worker

  def perform(order, currency, amount)
    sleep 0.01
    puts "charged order #{order}: #{amount} #{currency}"
    $stdout.flush
  end
end
