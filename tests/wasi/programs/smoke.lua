-- smoke.lua — Lua's interpreter on WASI: the language, its libraries, files. Prints "all good" at the end; an error ends the interpreter.
local checks = 0
local function same(got, want, what)
  checks = checks + 1
  if got ~= want then print("FAILED", what, got, want) os.exit(1) end
end

same(arg[0], "/smoke.lua", "arg 0")
same(arg[1], "one", "arg 1")
same(2 ^ 53 | 0, 9007199254740992, "integers")
same(7 // -2, -4, "floor division")
same(string.format("%5.2f|%x|%q", math.pi, 255, "a\n"), " 3.14|ff|\"a\\\n\"", "format")
same(("hello world"):gsub("o", "0"), "hell0 w0rld", "gsub")
same(select("#", ("a,b,,c"):find("(,)(,)")), 4, "captures")
local words = {}
for w in ("the quick brown fox"):gmatch("%a+") do words[#words + 1] = w end
table.sort(words, function(a, b) return a > b end)
same(table.concat(words, " "), "the quick fox brown", "sort")
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
same(fib(20), 6765, "recursion")
local t = setmetatable({}, { __index = function(_, k) return k * 2 end, __call = function(_, x) return x + 1 end })
same(t[21] + t(1), 44, "metatables")
local made = 0
for i = 1, 100000 do local garbage = { i, tostring(i) } made = made + #garbage[2] end
same(made, 488895, "garbage")
collectgarbage()
same(collectgarbage("count") < 5000, true, "collected")
same(utf8.char(228, 8364), "ä€", "utf8")
same(load("return 6 * 7")(), 42, "load")
same(os.time() > 1600000000, true, "time")
same(type(os.getenv("HOME")), "nil", "environment")
same(os.getenv("COLOUR"), "red", "environment")
same(io.open("/absent"), nil, "what is not there")
same(io.open("/smoke.lua"):read("l"):sub(1, 12), "-- smoke.lua", "reading")
if arg[2] then -- a folder that can be written to
  local path = arg[2] .. "/lua.txt"
  local f = io.open(path, "w")
  for i = 1, 1000 do f:write("line ", i, "\n") end
  f:close()
  local n, sum = 0, 0
  for line in io.lines(path) do n = n + 1 sum = sum + tonumber(line:match("%d+")) end
  same(n, 1000, "lines")
  same(sum, 500500, "what was written")
  same(os.rename(path, path .. ".old"), true, "rename")
  same(os.remove(path .. ".old"), true, "remove")
  same(io.open(path .. ".old"), nil, "removed")
end
print("all good", checks)
