;; A module that wants more than is granted is refused before it runs.
;; run: --memory 100 -- --invoke f
;; status: 1
;; err: beyond a limit: memory is larger than granted
;; run: --invoke f
;; out: 5
(module
  (memory 65536)
  (func (export "f") (result i32)
    (i32.store (i32.const -4) (i32.const 5))
    (i32.load (i32.const -4))))
