;; Divides by zero.
(module
  (memory 1 1)
  (global $zero (mut i32) (i32.const 0))
  (func (export "app_main") (result i32)
    (i32.div_u (i32.const 1) (global.get $zero))))
