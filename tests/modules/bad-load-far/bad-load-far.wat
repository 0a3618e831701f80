;; Loads at the largest address that the language can name: index and offset both 2³² − 1.
(module
  (memory 1 1)
  (global $index (mut i32) (i32.const -1))
  (func (export "app_main") (result i32)
    (i32.load offset=0xffffffff (global.get $index))))
