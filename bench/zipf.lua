-- Requests to APPS apps with 100 files each, by Zipf's law (exponent 1) over all of them; the seed is fixed.
local apps, files, ahead = tonumber(os.getenv("APPS")), 100, 200000
local total = apps * files
local requests, at = {}, 0

function init()
  math.randomseed(42)
  -- The inverse of the law's distribution function: ranks come out with weight 1/rank.
  local log_total = math.log(total + 1)
  for number = 1, ahead do
    local rank = math.floor(math.exp(math.random() * log_total))
    -- Neighbouring ranks lie in different apps.
    local place = (rank * 7919) % total
    local app, file = place % apps, math.floor(place / apps)
    requests[number] = "GET /f" .. file .. ".txt HTTP/1.1\r\nHost: app-" .. app .. ".localhost\r\n\r\n"
  end
end

function request()
  at = at % ahead + 1
  return requests[at]
end
