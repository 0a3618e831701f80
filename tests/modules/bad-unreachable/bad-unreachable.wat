;; Reaches `unreachable`.
(module
  (memory 1 1)
  (func $deep (unreachable))
  (func (export "app_main") (result i32)
    (call $deep)
    (i32.const 0)))
