;; Stores behind the end of its memory.
(module
  (memory 1 1)
  (func (export "app_main") (result i32)
    (i64.store offset=0x7ffffff0 (i32.const 0x7fffffff) (i64.const -1))
    (i32.const 0)))
