-- The load of one line, for wrk. Arguments: method, path, cookie, then the body of a POST or the file of ids of a GET.
-- All requests are written before the first is sent, so that the load takes little of the processors that it shares with
-- the servers. At the end one line of JSON says what happened.

local requests, next_request = {}, 0

function init(args)
  local method, path, cookie, rest = args[1], args[2], args[3], args[4]
  if cookie ~= "" then wrk.headers["Cookie"] = cookie end
  if method == "POST" then
    wrk.headers["Content-Type"] = "application/json"
    requests[1] = wrk.format("POST", path, wrk.headers, rest)
  elseif rest ~= "" then
    for id in io.lines(rest) do
      requests[#requests + 1] = wrk.format("GET", path .. id, wrk.headers)
    end
  else
    requests[1] = wrk.format("GET", path, wrk.headers)
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'result {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,"failed":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
