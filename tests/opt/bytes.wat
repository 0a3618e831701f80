;; Bytes put together in the opposite order are one operator; nearly so is not.
;;passes fold gvn bytes dead
(module (memory 1)
  (func $htonl (param i32) (result i32)
    (i32.or (i32.or (i32.shl (local.get 0) (i32.const 24)) (i32.and (i32.shl (local.get 0) (i32.const 8)) (i32.const 0xff0000)))
            (i32.or (i32.and (i32.shr_u (local.get 0) (i32.const 8)) (i32.const 0xff00)) (i32.shr_u (local.get 0) (i32.const 24)))))
  (func $htonl_other (param i32) (result i32)
    (i32.or (i32.shl (i32.or (i32.and (i32.shr_u (local.get 0) (i32.const 8)) (i32.const 0xff)) (i32.shl (i32.and (local.get 0) (i32.const 0xff)) (i32.const 8))) (i32.const 16))
            (i32.or (i32.shr_u (i32.and (local.get 0) (i32.const 0xff0000)) (i32.const 8)) (i32.shr_u (local.get 0) (i32.const 24)))))
  (func $htons (param i32) (result i32)
    (i32.and (i32.or (i32.shl (i32.load16_u (local.get 0)) (i32.const 8)) (i32.shr_u (i32.load16_u offset=2 (local.get 0)) (i32.const 8))) (i32.const 0xffff)))
  (func $htons_one (param i32) (result i32) (local i32)
    (i32.and (i32.or (i32.shl (local.tee 1 (i32.load16_u (local.get 0))) (i32.const 8)) (i32.shr_u (local.get 1) (i32.const 8))) (i32.const 0xffff)))
  (func $htons_dirty (param i32) (result i32) ;; the third byte shines through
    (i32.and (i32.or (i32.shl (local.get 0) (i32.const 8)) (i32.shr_u (local.get 0) (i32.const 8))) (i32.const 0xffff)))
  (func $masked_bits (param i32) (result i32)
    (i32.or (i32.or (i32.shl (local.get 0) (i32.const 24)) (i32.and (i32.shl (local.get 0) (i32.const 8)) (i32.const 0xfe0000)))
            (i32.or (i32.and (i32.shr_u (local.get 0) (i32.const 8)) (i32.const 0xff00)) (i32.shr_u (local.get 0) (i32.const 24)))))
  (func $of_two (param i32 i32) (result i32)
    (i32.or (i32.or (i32.shl (local.get 0) (i32.const 24)) (i32.and (i32.shl (local.get 0) (i32.const 8)) (i32.const 0xff0000)))
            (i32.or (i32.and (i32.shr_u (local.get 1) (i32.const 8)) (i32.const 0xff00)) (i32.shr_u (local.get 0) (i32.const 24)))))
  (func $htonll (param i64) (result i64)
    (i64.or
      (i64.or
        (i64.or (i64.shl (local.get 0) (i64.const 56)) (i64.shl (i64.and (local.get 0) (i64.const 0xff00)) (i64.const 40)))
        (i64.or (i64.shl (i64.and (local.get 0) (i64.const 0xff0000)) (i64.const 24)) (i64.shl (i64.and (local.get 0) (i64.const 0xff000000)) (i64.const 8))))
      (i64.or
        (i64.or (i64.and (i64.shr_u (local.get 0) (i64.const 8)) (i64.const 0xff000000)) (i64.and (i64.shr_u (local.get 0) (i64.const 24)) (i64.const 0xff0000)))
        (i64.or (i64.and (i64.shr_u (local.get 0) (i64.const 40)) (i64.const 0xff00)) (i64.shr_u (local.get 0) (i64.const 56)))))))
;;| func 0 $htonl (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v16 = i32.bswap v1
;;|     return v16
;;| func 1 $htonl_other (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v20 = i32.bswap v1
;;|     return v20
;;| func 2 $htons (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.load.16u v1 +0
;;|     v3 = i32.const 8
;;|     v4 = i32.shl v2 v3
;;|     v5 = i32.load.16u v1 +2
;;|     v7 = i32.shru v5 v3
;;|     v8 = i32.or v4 v7
;;|     v9 = i32.const 65535
;;|     v10 = i32.and v8 v9
;;|     return v10
;;| func 3 $htons_one (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.load.16u v1 +0
;;|     v11 = i32.bswap v2
;;|     v12 = i32.const 16
;;|     v9 = i32.shru v11 v12
;;|     return v9
;;| func 4 $htons_dirty (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 8
;;|     v3 = i32.shl v1 v2
;;|     v5 = i32.shru v1 v2
;;|     v6 = i32.or v3 v5
;;|     v7 = i32.const 65535
;;|     v8 = i32.and v6 v7
;;|     return v8
;;| func 5 $masked_bits (i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.const 24
;;|     v3 = i32.shl v1 v2
;;|     v4 = i32.const 8
;;|     v5 = i32.shl v1 v4
;;|     v6 = i32.const 16646144
;;|     v7 = i32.and v5 v6
;;|     v8 = i32.or v3 v7
;;|     v10 = i32.shru v1 v4
;;|     v11 = i32.const 65280
;;|     v12 = i32.and v10 v11
;;|     v14 = i32.shru v1 v2
;;|     v15 = i32.or v12 v14
;;|     v16 = i32.or v8 v15
;;|     return v16
;;| func 6 $of_two (i32 i32) -> (i32)
;;| b0:
;;|     v1 = i32.param 0
;;|     v2 = i32.param 1
;;|     v3 = i32.const 24
;;|     v4 = i32.shl v1 v3
;;|     v5 = i32.const 8
;;|     v6 = i32.shl v1 v5
;;|     v7 = i32.const 16711680
;;|     v8 = i32.and v6 v7
;;|     v9 = i32.or v4 v8
;;|     v11 = i32.shru v2 v5
;;|     v12 = i32.const 65280
;;|     v13 = i32.and v11 v12
;;|     v15 = i32.shru v1 v3
;;|     v16 = i32.or v13 v15
;;|     v17 = i32.or v9 v16
;;|     return v17
;;| func 7 $htonll (i64) -> (i64)
;;| b0:
;;|     v1 = i64.param 0
;;|     v36 = i64.bswap v1
;;|     return v36
