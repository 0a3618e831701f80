;; Blocks that hold the same moves and lead to the same place become one, the last of them.
(module (memory 1)
  (func (param i32 i32 i32) (result i32)
    (block (result i32)
      (drop (br_if 0 (local.get 1) (i32.load (local.get 0))))
      (drop (br_if 0 (local.get 1) (i32.load offset=4 (local.get 0))))
      (drop (br_if 0 (local.get 2) (i32.load offset=8 (local.get 0))))
      (drop (br_if 0 (local.get 1) (i32.load offset=12 (local.get 0))))
      (local.get 2))))
;;| order 0 1 2 3 8 9
