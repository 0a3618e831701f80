;; Calls a server that dies of it: gets E_DEAD (−111), twice, and goes on. Exit status 0 says that it was so.
(module
  (import "srv" "poke" (func $poke (result i32)))
  (memory 1 1)
  (func (export "app_main") (result i32)
    (if (i32.ne (call $poke) (i32.const -111)) (then (return (i32.const 1))))
    (i32.ne (call $poke) (i32.const -111))))
