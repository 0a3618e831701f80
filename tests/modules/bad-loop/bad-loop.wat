;; Computes for ever without giving the CPU back.
(module
  (memory 1 1)
  (func (export "app_main") (result i32)
    (loop $for_ever (br $for_ever))
    (i32.const 0)))
