-- bench.lua — work for the Lua interpreter: calls, tables, strings, closures, garbage. Prints checksums only. No errors, no coroutines.
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print("fib", fib(29))

local function sieve(n)
  local composite, count = {}, 0
  for i = 2, n do
    if not composite[i] then
      count = count + 1
      for k = i * i, n, i do composite[k] = true end
    end
  end
  return count
end
print("sieve", sieve(700000))

local seed = 42
local function random() seed = (seed * 1103515245 + 12345) & 0x7fffffff; return seed end
local keys = {}
for i = 1, 60000 do keys[i] = random() end
table.sort(keys)
table.sort(keys, function(a, b) return a % 1000 < b % 1000 or (a % 1000 == b % 1000 and a < b) end)
print("sort", keys[1], keys[30000], keys[60000])

local words, counts = {}, {}
for i = 1, 60000 do words[i] = string.format("%x", random() % 4096) end
for _, w in ipairs(words) do counts[w] = (counts[w] or 0) + 1 end
local most, which = 0, ""
for w, c in pairs(counts) do if c > most or (c == most and w < which) then most, which = c, w end end
print("words", most, which)

local text = table.concat(words, " ")
local found, length = 0, 0
for w in text:gmatch("%x+") do found = found + 1; length = length + #w end
local replaced, n = text:gsub("a(%x)", "<%1>")
print("strings", found, length, #replaced, n, text:upper():find("FF0", 1, true))

local function tree(depth) if depth == 0 then return {} end return { tree(depth - 1), tree(depth - 1) } end
local function nodes(t) return t[1] and 1 + nodes(t[1]) + nodes(t[2]) or 1 end
local total = 0
for _ = 1, 12 do total = total + nodes(tree(13)) end
print("trees", total)

local Point = {}
Point.__index = Point
Point.__add = function(a, b) return setmetatable({ x = a.x + b.x, y = a.y + b.y }, Point) end
function Point:norm() return self.x * self.x + self.y * self.y end
local sum = setmetatable({ x = 0, y = 0 }, Point)
for i = 1, 300000 do sum = sum + setmetatable({ x = i % 7, y = i % 11 }, Point) end
print("objects", sum.x, sum.y, sum:norm())

local n1, m = 90, {}
for i = 1, n1 do m[i] = {} for j = 1, n1 do m[i][j] = (i * j) % 13 / 4 end end
local trace = 0
for i = 1, n1 do
  local row = {}
  for j = 1, n1 do
    local s = 0.0
    for k = 1, n1 do s = s + m[i][k] * m[k][j] end
    row[j] = s
  end
  trace = trace + row[i]
end
print("matrix", string.format("%.6f", trace))
