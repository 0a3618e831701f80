;; Constants in addresses become offsets where the sum surely does not wrap, and only there.
;;passes fold gvn address dead
(module (memory 1)
  (func $unknown (param i32) (result i32) (i32.load (i32.add (local.get 0) (i32.const 16))))
  (func $byte (param i32) (result i32)
    (i32.load offset=4 (i32.add (i32.load8_u (local.get 0)) (i32.const 16))))
  (func $edge (param i32) (result i32) ;; 0xff + 0xffffff00 does not wrap, but is no displacement; nor may 0xffffff01 fold
    (i32.add (i32.load (i32.add (i32.load8_u (local.get 0)) (i32.const 0xffffff00)))
             (i32.load (i32.add (i32.load8_u (local.get 0)) (i32.const 0xffffff01)))))
  (func $scaled (param i32 i32) (result i32) ;; (i & 15) + 3 elements of 4, in row j & 7
    (i32.load (i32.add (i32.shl (i32.add (i32.and (local.get 0) (i32.const 15)) (i32.const 3)) (i32.const 2))
                       (i32.add (i32.shl (i32.and (local.get 1) (i32.const 7)) (i32.const 6)) (i32.const 1024)))))
  (func $back (param i32) (result i32) ;; x ≥ 8, so x − 8 does not wrap; its offset must stay positive
    (i32.add (i32.load offset=8 (i32.add (i32.or (i32.and (local.get 0) (i32.const 0xf0)) (i32.const 8)) (i32.const -8)))
             (i32.load offset=9 (i32.add (i32.add (i32.load8_u (local.get 0)) (i32.const 8)) (i32.const -16))))))
;;| func 0 $unknown (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 16
;;|     v3 = i32.add v1 v2
;;|     v4 = i32.load v3 +0
;;|     return v4
;;| func 1 $byte (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.load.8u v1 +0
;;|     v5 = i32.load v2 +20
;;|     return v5
;;| func 2 $edge (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.load.8u v1 +0
;;|     v3 = i32.const -256
;;|     v4 = i32.add v2 v3
;;|     v5 = i32.load v4 +0
;;|     v6 = i32.load.8u v1 +0
;;|     v7 = i32.const -255
;;|     v8 = i32.add v6 v7
;;|     v9 = i32.load v8 +0
;;|     v10 = i32.add v5 v9
;;|     return v10
;;| func 3 $scaled (i32 i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.param 1
;;|     v3 = i32.const 15
;;|     v4 = i32.and v1 v3
;;|     v7 = i32.const 2
;;|     v18 = i32.shl v4 v7
;;|     v9 = i32.const 7
;;|     v10 = i32.and v2 v9
;;|     v11 = i32.const 6
;;|     v12 = i32.shl v10 v11
;;|     v19 = i32.add v18 v12
;;|     v16 = i32.load v19 +1036
;;|     return v16
;;| func 4 $back (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 240
;;|     v3 = i32.and v1 v2
;;|     v6 = i32.const -8
;;|     v8 = i32.load v3 +8
;;|     v9 = i32.load.8u v1 +0
;;|     v13 = i32.add v9 v6
;;|     v14 = i32.load v13 +9
;;|     v15 = i32.add v8 v14
;;|     return v15
